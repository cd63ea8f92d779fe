import type { Translation } from "../../state/messages.ts";
import type { shell as english } from "../en/shell.ts";

export const shell: Translation<typeof english> = {
  "unit.s": "s",
  "unit.min": "min",
  "unit.h": "h",
  "unit.d": "T",
  "time.justNow": "gerade eben",
  "time.yesterday": "gestern, {clock}",

  "nav.label": "Hauptmenü",
  "nav.transfers": "Übertragungen",
  "nav.groups": "Gruppen",
  "nav.share": "Freigeben",
  "nav.settings": "Einstellungen",
  "nav.joinOrCreate": "Beitreten oder gründen",
  "nav.skip": "Zum Inhalt",
  "nav.requests": { one: "{count} Beitrittsanfrage", other: "{count} Beitrittsanfragen" },
  "nav.down": "Empfang",
  "nav.up": "Versand",
  "nav.account": "Konto",
  "nav.logOut": "Abmelden",
  "nav.tracker": "Tracker {address}",
  "nav.trackerSearch": "Suche einen Tracker",
  "nav.trackerNone": "Kein Tracker antwortet",

  "action.close": "Schließen",
  "action.cancel": "Abbrechen",
  "action.copy": "Kopieren",
  "action.copied": "Kopiert",
  "action.tryNow": "Jetzt versuchen",
  "action.dismiss": "Ausblenden",
  "action.more": "Mehr",

  "list.empty": "Nichts hier",
  loading: "Lädt",

  "errors.unknownCall": "Dieser Daemon kennt den Aufruf {name} nicht. Lade die Seite neu.",
  "errors.unreachable": "Der Daemon auf diesem Rechner antwortet nicht.",
  "errors.noAnswer": "Der Daemon hat nicht richtig geantwortet (HTTP {status}).",
  "errors.view":
    "Dieser Teil der Seite lässt sich nicht laden. Vielleicht wurde der Daemon aktualisiert: Lade die Seite neu.",
  "errors.reload": "Neu laden",
};
