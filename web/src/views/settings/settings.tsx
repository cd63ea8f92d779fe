import { t } from "../../i18n/t.ts";
import Rates from "./rates.tsx";
import Schedule from "./schedule.tsx";

export default function Settings() {
  return (
    <div class="page">
      <h1>{t("shell.nav.settings")}</h1>
      <Rates />
      <Schedule />
    </div>
  );
}
