import { t } from "../../i18n/t.ts";

export default function Share() {
  return (
    <div class="page">
      <h1>{t("groups.share.title")}</h1>
    </div>
  );
}
