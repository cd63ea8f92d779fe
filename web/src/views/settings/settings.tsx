import { t } from "../../i18n/t.ts";

export default function Settings() {
  return (
    <div class="page">
      <h1>{t("shell.nav.settings")}</h1>
    </div>
  );
}
