/** Reads the body of a POST, within bounds, and says with which status a POST that failed is answered. */

import type { IncomingMessage } from "node:http";
import { Unusable, parsePost, type Post } from "./frames.js";

/** The reference OraServer's limit: 33 minutes of speech at 48 kHz, or 73 at 22.05 kHz. A longer file gets 413, which is final. */
export const MAX_BODY_BYTES = 256 << 20;
/** All bodies that are being read, together. A POST beyond it gets 503, and the bridge tries again. */
export const MAX_BODIES_BYTES = 512 << 20;

/** An answer other than 2xx. To a bridge 4xx is final: only for what can never be used. After 5xx it tries again. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }

  /** How a failed request is answered. */
  static of(error: unknown): Refusal {
    if (error instanceof Refusal) return error;
    if (error instanceof Unusable) return new Refusal(400, error.message);
    const full = ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");
    return full ? new Refusal(507, "the disk is full") : new Refusal(503, "cannot store");
  }
}

/** Reads bodies. A parsed one takes about three times its size in memory for a moment. */
export class PostReader {
  #bytes = 0;

  constructor(
    private readonly maxBody: number,
    private readonly maxBodies: number,
  ) {}

  /** Read and parse a body. Throws Refusal, Unusable, or the error with which the connection ended. */
  async read(request: IncomingMessage): Promise<Post> {
    const tooLarge = new Refusal(413, `the body is larger than ${this.maxBody} bytes`);
    if (Number(request.headers["content-length"]) > this.maxBody) throw tooLarge;
    const parts: Buffer[] = [];
    let bytes = 0;
    try {
      await new Promise<void>((resolve, reject) => {
        request.on("data", (part: Buffer) => {
          bytes += part.length;
          this.#bytes += part.length;
          if (bytes > this.maxBody) reject(tooLarge);
          else if (this.#bytes > this.maxBodies) reject(new Refusal(503, "too many bodies at once"));
          else parts.push(part);
        });
        request.on("end", resolve);
        request.on("error", reject);
        request.on("close", () => reject(new Error("the connection ended within the body")));
      });
      return parsePost(Buffer.concat(parts));
    } finally {
      request.removeAllListeners("data"); // the rest of a refused body is read, but not kept
      this.#bytes -= bytes;
    }
  }
}
