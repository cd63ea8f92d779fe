import { t } from "../../i18n/t.ts";

export default function Transfers() {
  return (
    <div class="page">
      <h1>{t("transfers.title")}</h1>
    </div>
  );
}
