import { t } from "../../i18n/t.ts";

export default function Enter() {
  return <h1>{t("shell.errors.unreachable")}</h1>;
}
