// The sentence of an answer that failed, with a button to ask again.
import { sentenceOf } from "../../api/call.ts";
import { t } from "../../i18n/t.ts";
import { Button } from "../../ui/button.tsx";
import { Banner, type BannerProps } from "../../ui/empty.tsx";

export interface FailedAnswerProps {
  readonly answer: { readonly error?: unknown; readonly refresh: () => unknown };
  readonly kind?: BannerProps["kind"];
}

export function FailedAnswer({ answer, kind = "danger" }: FailedAnswerProps) {
  return (
    <Banner
      kind={kind}
      icon="warn"
      actions={<Button onClick={() => void answer.refresh()}>{t("groups.again")}</Button>}
    >
      {sentenceOf(answer.error)}
    </Banner>
  );
}
