// Settings: sections beside a list of them; on phones the list is a page of its own.
import type { ComponentType } from "preact";
import { type TextKey, t } from "../../i18n/t.ts";
import { href, route } from "../../routes.ts";
import type { SettingsSection } from "../../state/paths.ts";
import { Button } from "../../ui/button.tsx";
import { Icon, type IconName } from "../../ui/icon.tsx";
import "../../styles/settings.css";
import Look from "./look.tsx";
import Rates from "./rates.tsx";
import Roots from "./roots.tsx";
import Tokens from "./tokens.tsx";
import Trackers from "./trackers.tsx";

interface Section {
  readonly title: TextKey;
  readonly icon: IconName;
  readonly Content: ComponentType;
}

const SECTIONS: Readonly<Record<Exclude<SettingsSection, "schedule">, Section>> = {
  rates: { title: "shell.settings.rates", icon: "limit", Content: Rates },
  roots: { title: "shell.settings.roots", icon: "folder", Content: Roots },
  tokens: { title: "shell.settings.tokens", icon: "key", Content: Tokens },
  look: { title: "shell.settings.look", icon: "theme", Content: Look },
  trackers: { title: "shell.settings.trackers", icon: "tracker", Content: Trackers },
};

const NAMES = Object.keys(SECTIONS) as (keyof typeof SECTIONS)[];

export default function Settings() {
  const now = route.value;
  const chosen = now.view === "settings" ? now.section : undefined;
  // The schedule stands below the limits that it changes.
  const section = chosen === undefined || chosen === "schedule" ? "rates" : chosen;
  const { title, Content } = SECTIONS[section];
  return (
    <div class={chosen === undefined ? "page settings settings-list" : "page settings"}>
      <header class="page-head">
        <Button
          class="settings-back"
          kind="bare"
          icon="back"
          label={t("shell.settings.all")}
          href={href({ view: "settings" })}
        />
        <h1>
          <span class="settings-title">{t("shell.nav.settings")}</span>
          <span class="settings-chosen">{t(title)}</span>
        </h1>
      </header>
      <nav class="settings-nav" aria-label={t("shell.settings.all")}>
        {NAMES.map((name) => (
          <a
            key={name}
            class="nav"
            href={href({ view: "settings", section: name })}
            aria-current={name === section ? "page" : undefined}
          >
            <Icon name={SECTIONS[name].icon} />
            <span class="grow">{t(SECTIONS[name].title)}</span>
            <Icon name="right" />
          </a>
        ))}
      </nav>
      <div class="settings-content">
        <Content />
      </div>
    </div>
  );
}
