import { t } from "../../i18n/t.ts";

export default function FirstRun() {
  return <h1>{t("shell.nav.account")}</h1>;
}
