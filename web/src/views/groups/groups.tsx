import { t } from "../../i18n/t.ts";

export default function Groups() {
  return (
    <div class="page">
      <h1>{t("groups.title")}</h1>
    </div>
  );
}
