import { t } from "../../i18n/t.ts";

export default function Choose() {
  return (
    <div class="page">
      <h1>{t("groups.choose.title")}</h1>
    </div>
  );
}
