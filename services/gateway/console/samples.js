/** Bytes of a streamed file to samples, as they arrive: WAV and PCM16 as they are, G.711 by its laws. No Web Audio here. */

const WAV_HEADER_BYTES = 44;

/** Formats whose samples can be heard while they stream; anything else must be decoded as a whole. */
export const STREAMED = new Set(["wav", "pcm16", "mulaw", "alaw"]);

/** Reads one mono file of `format`; `rate` (Hz) is known from the start for all but WAV, which says its own. */
export class SampleReader {
  constructor(format, rate) {
    this.rate = rate;
    this.#format = format;
    this.#header = format === "wav" ? WAV_HEADER_BYTES : 0;
  }

  #format;
  #header;
  #rest = new Uint8Array(0);

  /** The samples (-1 to 1) that these bytes complete; what is cut in the middle waits for the next ones. */
  push(bytes) {
    let data = bytes;
    if (this.#rest.length) {
      data = new Uint8Array(this.#rest.length + bytes.length);
      data.set(this.#rest);
      data.set(bytes, this.#rest.length);
    }
    if (data.length < this.#header) {
      this.#rest = data;
      return new Float32Array(0);
    }
    if (this.#header) {
      this.rate = new DataView(data.buffer, data.byteOffset).getUint32(24, true);
      data = data.subarray(this.#header);
      this.#header = 0;
    }
    const decode = { mulaw: decodeMulaw, alaw: decodeAlaw }[this.#format];
    if (decode) {
      this.#rest = new Uint8Array(0);
      return Float32Array.from(data, decode);
    }
    const count = data.length >> 1;
    const view = new DataView(data.buffer, data.byteOffset, count * 2);
    const samples = new Float32Array(count);
    for (let i = 0; i < count; i++) samples[i] = view.getInt16(i * 2, true) / 32768;
    this.#rest = data.slice(count * 2);
    return samples;
  }
}

/** G.711 µ-law: a byte as a sample. */
function decodeMulaw(byte) {
  const value = ~byte & 0xff;
  const magnitude = (((value & 0x0f) << 3) + 0x84 << ((value >> 4) & 7)) - 0x84;
  return (value & 0x80 ? -magnitude : magnitude) / 32768;
}

/** G.711 A-law: a byte as a sample, in the middle of its interval. */
function decodeAlaw(byte) {
  const value = byte ^ 0x55;
  const segment = (value >> 4) & 7;
  const magnitude = segment ? ((value & 0x0f) << 4) + 0x108 << (segment - 1) : ((value & 0x0f) << 4) + 8;
  return (value & 0x80 ? magnitude : -magnitude) / 32768;
}
