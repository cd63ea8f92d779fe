// Reads server-sent events (HTML Standard, 9.2.6) from text that arrives in any parts. Fields `id`, `event` and `data`.

export interface ServerEvent {
  readonly id: string | undefined;
  readonly type: string;
  readonly data: string;
}

export class EventReader {
  #rest = "";
  #id: string | undefined;
  #type = "";
  #data: string[] = [];

  /** @returns the events that are complete now */
  read(text: string): ServerEvent[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) {
          events.push({ id: this.#id, type: this.#type || "message", data: this.#data.join("\n") });
        }
        this.#type = "";
        this.#data = [];
        continue;
      }
      const [field = "", value = ""] = splitOnce(line);
      if (field === "id") this.#id = value;
      else if (field === "event") this.#type = value;
      else if (field === "data") this.#data.push(value);
    }
    return events;
  }
}

/** A comment has an empty field. */
function splitOnce(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  return [line.slice(0, colon), line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)];
}
