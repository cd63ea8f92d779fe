import { t } from "../../i18n/t.ts";

export default function Preview() {
  return (
    <div class="page">
      <h1>{t("transfers.preview.title")}</h1>
    </div>
  );
}
