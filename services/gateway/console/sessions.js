/** The table of live sessions: who has requests in work, how far, and what waits behind. */

import { byId, html, write } from "./element.js";
import { isolated, visible } from "./foreign.js";
import { duration, t } from "./i18n.js";
import { statusCell, STEP_MS } from "./list.js";

/** Draws into `#sessions`; `onCancel(session)` when all of a session is to be cancelled. */
export class Sessions {
  constructor(onCancel) {
    this.onCancel = onCancel;
    this.body = byId("sessions").tBodies[0];
    this.empty = byId("sessions").parentElement.querySelector(".empty");
    this.rows = new Map();
  }

  /** Show these: a map of session → its utterances that are not final, oldest first. Rows keep their place and focus. */
  draw(sessions, now) {
    for (const [session, row] of this.rows) {
      if (sessions.has(session)) continue;
      row.line.remove();
      this.rows.delete(session);
    }
    for (const [session, utterances] of sessions) {
      let row = this.rows.get(session);
      if (!row) {
        row = this.#make(session);
        this.rows.set(session, row);
        this.body.append(row.line);
      }
      this.#write(row, session, utterances, now);
    }
    byId("sessions").hidden = sessions.size === 0;
    this.empty.hidden = sessions.size > 0;
    write(byId("sessions-count"), String(sessions.size));
  }

  #make(session) {
    const cells = {
      now: html("td", { class: "status" }),
      bar: html("progress", { max: 1 }),
      chunks: html("span", { class: "chunks" }),
      waits: html("td", { class: "number" }),
      since: html("td", { class: "number" }),
      cancel: html("button", { type: "button", onclick: () => this.onCancel(session) }),
    };
    const line = html(
      "tr",
      {},
      html("th", { scope: "row", class: "id", title: isolated(session) }, html("bdi", {}, visible(session))),
      cells.now,
      html("td", {}, html("div", { class: "row" }, cells.bar, cells.chunks)),
      cells.waits,
      cells.since,
      html("td", { class: "actions" }, cells.cancel),
    );
    return { line, ...cells };
  }

  #write(row, session, utterances, now) {
    const [head, ...behind] = utterances; // heard in the order asked
    const { report } = head;
    statusCell(row.now, head.status, isolated(head.request));
    const total = report?.totalChunks ?? null;
    const delivered = report?.deliveredChunks ?? 0;
    const words = t("chunks", { delivered, total: total ?? "?" });
    if (total) row.bar.value = delivered / total;
    else row.bar.removeAttribute("value");
    row.bar.ariaLabel = words;
    write(row.chunks, `${delivered} / ${total ?? "?"}`);
    write(row.waits, String(behind.length));
    const from = head.requestedAt ?? head.call?.at ?? now;
    write(row.since, duration(Math.max(0, Math.floor(now / STEP_MS) * STEP_MS - from)));
    write(row.cancel, t("cancel"));
    row.cancel.ariaLabel = t("cancel.all", { session });
  }
}
