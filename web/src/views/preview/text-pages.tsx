// A text, in pages of 64 KiB: a log of gigabytes opens as fast as a note.
import { useEffect, useRef, useState } from "preact/hooks";
import { number } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { textOfPage, textPageCount, textRange } from "../../state/text-page.ts";
import { Button } from "../../ui/button.tsx";
import { Banner } from "../../ui/empty.tsx";

export interface TextPagesProps {
  readonly url: string;
  readonly lengthBytes: number;
}

export function TextPages({ url, lengthBytes }: TextPagesProps) {
  const [page, setPage] = useState(0);
  const [text, setText] = useState<string>();
  const [hasFailed, setFailed] = useState(false);
  const top = useRef<HTMLPreElement>(null);
  const count = textPageCount(lengthBytes);
  useEffect(() => {
    const stop = new AbortController();
    setFailed(false);
    read(url, page, lengthBytes, stop.signal).then(
      (found) => {
        setText(found);
        if (top.current !== null) top.current.scrollTop = 0;
      },
      () => {
        if (!stop.signal.aborted) setFailed(true);
      },
    );
    return () => stop.abort();
  }, [url, page, lengthBytes]);
  return (
    <div class="text card">
      {hasFailed && (
        <Banner
          kind="danger"
          icon="warn"
          actions={
            <Button size="small" onClick={() => setPage(page)}>
              {t("transfers.action.tryAgain")}
            </Button>
          }
        >
          {t("transfers.preview.unread")}
        </Banner>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it. */}
      <pre ref={top} tabIndex={0} aria-label={t("transfers.preview.text")} aria-busy={text === undefined}>
        {text ?? t("transfers.preview.arrives")}
      </pre>
      {count > 1 && (
        <div class="text-foot">
          <Button
            size="small"
            icon="left"
            label={t("transfers.preview.pageBefore")}
            disabled={page === 0}
            onClick={() => setPage(page - 1)}
          />
          <input
            type="range"
            min={1}
            max={count}
            value={page + 1}
            aria-label={t("transfers.preview.page")}
            onChange={(event) => setPage(Number(event.currentTarget.value) - 1)}
          />
          <span class="sub num">
            {t("transfers.preview.pageOf", { page: number(page + 1), count: number(count) })}
          </span>
          <Button
            size="small"
            icon="right"
            label={t("transfers.preview.pageAfter")}
            disabled={page >= count - 1}
            onClick={() => setPage(page + 1)}
          />
        </div>
      )}
    </div>
  );
}

async function read(url: string, page: number, lengthBytes: number, signal: AbortSignal): Promise<string> {
  if (lengthBytes === 0) return "";
  const { from, to } = textRange(page, lengthBytes);
  const answer = await fetch(url, { headers: { range: `bytes=${from}-${to - 1}` }, signal });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return textOfPage(new Uint8Array(await answer.arrayBuffer()), page, lengthBytes);
}
