// The other tests of this folder trust that a page which does what it must not makes them fail: this holds it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";
import { test } from "node:test";
import { Browser, type OpenPage } from "../../harness/browser.ts";
import { withoutChromium } from "../../harness/requirements.ts";

const PAGE = `<!doctype html><title>Bad</title><body>
<img src="http://127.0.0.1:9/outside.png">
<div style="width: 3000px">wide</div>
<button></button>
<script src="/page.js"></script>`;
/** Of processor time, which is what counts. */
const SCRIPT = `
console.error("said on the console");
addEventListener("click", () => {
  let sum = 0;
  for (let index = 0; index < 3e8; index++) sum += index % 7;
  document.title = String(sum);
});
throw new Error("thrown by the page");`;

test("what a page must not do is seen: errors, a breach of its policy, requests to elsewhere", {
  skip: withoutChromium(),
}, async (context) => {
  const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader(
      "content-security-policy",
      "default-src 'none'; script-src 'self'; img-src http://127.0.0.1:9",
    );
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? SCRIPT : PAGE);
  });
  context.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await using browser = await Browser.launch();
  let opened: OpenPage | undefined;
  const body = browser.watched(async () => {
    opened = await browser.open(url);
    assert.ok((await opened.longestTaskMs(() => page(opened).mouse.click(5, 5))) > 100);
    const found = (await opened.accessibilityFaults()).join("\n");
    assert.match(found, /button-name: /);
    assert.match(found, /image-alt: /);
  });
  await assert.rejects(body, (error: Error) => {
    const wanted = [
      "said on the console",
      "thrown by the page",
      "Content Security Policy",
      "request to http://127.0.0.1:9/",
    ];
    for (const words of wanted) assert.ok(error.message.includes(words), `${words}: ${error.message}`);
    const [, picture = ""] = /As the pages were: (\S+\.png)/.exec(error.message) ?? [];
    assert.equal(existsSync(picture), true);
    rmSync(dirname(picture), { recursive: true });
    return true;
  });
});

function page(opened: OpenPage | undefined): OpenPage["page"] {
  assert.ok(opened);
  return opened.page;
}
