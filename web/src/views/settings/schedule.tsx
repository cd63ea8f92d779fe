import { t } from "../../i18n/t.ts";

export default function Schedule() {
  return (
    <div class="page">
      <h1>{t("transfers.schedule.title")}</h1>
    </div>
  );
}
