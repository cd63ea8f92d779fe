// A browser that tests drive as a person would: Debian's Chromium without a window, a profile of its own for each person. What
// a person would not see, a page must not do either: errors on the console, what its content security policy refuses, and
// requests to anywhere but its own daemon fail the test.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import {
  type BrowserContextOptions,
  type CDPSession,
  chromium,
  type Page,
  type Browser as Program,
} from "playwright-core";
import { z } from "zod";
import type { DaemonUser } from "./daemons.ts";
import { chromiumPath } from "./requirements.ts";

/** Longest that a person waits for anything on the page, on a slow machine. */
const PATIENCE_MS = 20_000;
/** The browser itself reports each refusal of the API so; what the person reads of it is up to the tests. */
const REFUSED_CALL = /^Failed to load resource: the server responded with a status of \d+/;
/** As Chromium words it when the daemon ends, which the page shows in its own words. */
const LOST_DAEMON =
  /^Failed to load resource: net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)/;

const axeResultSchema = z.object({
  violations: z.array(
    z.object({
      id: z.string(),
      help: z.string(),
      nodes: z.array(z.object({ html: z.string(), failureSummary: z.string().optional() })),
    }),
  ),
});

const traceSchema = z.object({
  traceEvents: z.array(
    z.object({
      name: z.string(),
      ph: z.string(),
      pid: z.number(),
      tid: z.number(),
      /** Microseconds, and those of them that the processor worked on it. */
      dur: z.number().optional(),
      tdur: z.number().optional(),
      args: z.looseObject({ name: z.string().optional() }).optional(),
    }),
  ),
});

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly theme?: "light" | "dark";
  readonly locale?: string;
}

export class Browser implements AsyncDisposable {
  readonly #program: Program;
  readonly #pages = new Set<OpenPage>();

  private constructor(program: Program) {
    this.#program = program;
  }

  static async launch(): Promise<Browser> {
    return new Browser(await chromium.launch({ executablePath: chromiumPath() ?? "chromium" }));
  }

  /** A person's browser, which has never been at that address. */
  async open(url: string, options: PageOptions = {}): Promise<OpenPage> {
    const { width = 1280, height = 800, theme = "light", locale = "en-GB" } = options;
    const settings: BrowserContextOptions = {
      viewport: { width, height },
      colorScheme: theme,
      locale,
      reducedMotion: "reduce",
      hasTouch: width < 600,
    };
    const context = await this.#program.newContext(settings);
    context.setDefaultTimeout(PATIENCE_MS);
    const opened = await OpenPage.in(await context.newPage(), this.#program, new URL(url).origin);
    this.#pages.add(opened);
    await opened.page.goto(url);
    return opened;
  }

  /** The person's page, entered by a one-time link, when it has heard of the daemon. */
  async enter({ api }: DaemonUser, options: PageOptions = {}): Promise<OpenPage> {
    const { url } = await api.call("createLink", {});
    const opened = await this.open(url, options);
    await opened.page.getByRole("main").getByRole("heading").first().waitFor();
    return opened;
  }

  /**
   * A test's body that fails also if a page did what it must not, and leaves a picture of each open page if it fails. Its pages are
   * closed behind it.
   */
  watched(body: () => Promise<void>): () => Promise<void> {
    return async () => {
      try {
        await body();
        const faults = [...this.#pages].flatMap((page) => page.faults);
        if (faults.length > 0) throw new Error(`The page must not do this:\n${faults.join("\n")}`);
      } catch (error) {
        const pictures = await this.#pictures();
        const said = error instanceof Error ? error.message : String(error);
        throw new Error(`${said}\nAs the pages were: ${pictures.join(" ")}`, { cause: error });
      } finally {
        await Promise.all([...this.#pages].map(({ page }) => page.context().close()));
        this.#pages.clear();
      }
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.close();
  }

  async #pictures(): Promise<string[]> {
    const folder = mkdtempSync(join(tmpdir(), "minitorrent-pictures-"));
    const paths: string[] = [];
    for (const { page } of this.#pages) {
      const path = join(folder, `page-${paths.length + 1}.png`);
      await page.screenshot({ path }).then(
        () => paths.push(path),
        (error: unknown) => paths.push(`(no picture: ${String(error)})`),
      );
    }
    return paths;
  }
}

export class OpenPage {
  readonly page: Page;
  /** What the page did and must not do. */
  readonly faults: string[] = [];
  readonly #program: Program;
  readonly #inspector: CDPSession;

  private constructor(page: Page, program: Program, inspector: CDPSession) {
    this.page = page;
    this.#program = program;
    this.#inspector = inspector;
  }

  static async in(page: Page, program: Program, origin: string): Promise<OpenPage> {
    const opened = new OpenPage(page, program, await page.context().newCDPSession(page));
    const { faults } = opened;
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && !REFUSED_CALL.test(text) && !LOST_DAEMON.test(text)) {
        faults.push(`console: ${text}`);
      }
    });
    page.on("pageerror", (error) => faults.push(`error: ${error.stack ?? error.message}`));
    page.on("request", (request) => {
      const url = new URL(request.url());
      const isOwn = url.origin === origin || url.protocol === "data:" || url.protocol === "blob:";
      if (!isOwn) faults.push(`request to ${url.href}`);
    });
    return opened;
  }

  /** Drags files and folders of the disk from a window outside onto the middle of the page, and drops them. */
  async drop(...files: string[]): Promise<void> {
    const { width, height } = this.page.viewportSize() ?? { width: 0, height: 0 };
    const at = { x: width / 2, y: height / 2, data: { items: [], files, dragOperationsMask: 1 } };
    // The first one over the page may change what is under the pointer, as it does for a person.
    for (const type of ["dragEnter", "dragOver", "dragOver", "drop"] as const) {
      await this.#inspector.send("Input.dispatchDragEvent", { type, ...at });
    }
  }

  /** What axe-core finds on the page as it is, one sentence for each; nothing, if all is well. */
  async accessibilityFaults(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    const { violations } = axeResultSchema.parse(
      await this.page.evaluate("axe.run(document, { resultTypes: ['violations'] })"),
    );
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map(
        ({ html, failureSummary }) => `${id}: ${help}: ${html.slice(0, 200)} ${failureSummary ?? ""}`,
      ),
    );
  }

  /** How many pixels the page can be scrolled sideways. */
  async sidewaysPixels(): Promise<number> {
    return z
      .number()
      .parse(
        await this.page.evaluate(
          "document.scrollingElement.scrollWidth - document.documentElement.clientWidth",
        ),
      );
  }

  /**
   * The longest task of the page's main thread during the work, in milliseconds of processor time: what other processes of this
   * machine do meanwhile does not count.
   */
  async longestTaskMs(work: () => Promise<void>): Promise<number> {
    await this.#program.startTracing(this.page, {
      categories: ["toplevel", "disabled-by-default-devtools.timeline", "devtools.timeline"],
    });
    let trace: Buffer;
    try {
      await work();
    } finally {
      trace = await this.#program.stopTracing();
    }
    const { traceEvents } = traceSchema.parse(JSON.parse(trace.toString("utf8")));
    const mainThreads = new Set(
      traceEvents
        .filter(({ name, args }) => name === "thread_name" && args?.name === "CrRendererMain")
        .map(({ pid, tid }) => `${pid} ${tid}`),
    );
    const tasks = traceEvents.filter(
      ({ ph, pid, tid, tdur }) => ph === "X" && tdur !== undefined && mainThreads.has(`${pid} ${tid}`),
    );
    if (tasks.length === 0) throw new Error("The trace has no tasks of the page.");
    return Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1000;
  }

  /** Bytes of the page's objects that are in use, after a collection of garbage. */
  async heapBytes(): Promise<number> {
    await this.#inspector.send("HeapProfiler.collectGarbage");
    return (await this.#inspector.send("Runtime.getHeapUsage")).usedSize;
  }

  /** Elements and texts in the document. */
  async nodeCount(): Promise<number> {
    return (await this.#inspector.send("Memory.getDOMCounters")).nodes;
  }
}
