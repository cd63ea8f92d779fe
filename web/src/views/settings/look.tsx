// How this browser shows the page: theme, textures, language, keys, notifications.
import { useId, useState } from "preact/hooks";
import { type TextKey, t } from "../../i18n/t.ts";
import { showKeys } from "../../keys-help.tsx";
import { askForNotices, isAllowed } from "../../notices.ts";
import { set, settings } from "../../settings.ts";
import { LANGUAGES, type Language, NOTICES, type Notice, type Theme } from "../../state/page-settings.ts";
import { Button } from "../../ui/button.tsx";
import { Banner } from "../../ui/empty.tsx";
import { Icon, type IconName } from "../../ui/icon.tsx";
import { MemberBar, MemberChip } from "../../ui/member.tsx";
import { Select } from "../../ui/select.tsx";
import { Switch } from "../../ui/switch.tsx";
import { Setting } from "./setting.tsx";

const THEMES: readonly (readonly [Theme, TextKey, IconName])[] = [
  ["system", "shell.look.system", "monitor"],
  ["light", "shell.look.light", "sun"],
  ["dark", "shell.look.dark", "moon"],
];
/** In their own words. */
const LANGUAGE_NAMES: Readonly<Record<Language, string>> = { en: "English", de: "Deutsch" };
const SAMPLE = ["alice", "bob", "dave", "nas"].map((userId, colourIndex) => ({
  userId,
  colourIndex,
  share: [0.34, 0.22, 0.18, 0.12][colourIndex] ?? 0,
}));
const NOTICE_TEXTS: Readonly<Record<Notice, TextKey>> = {
  request: "shell.look.noticeRequest",
  accepted: "shell.look.noticeAccepted",
  finished: "shell.look.noticeFinished",
  stuck: "shell.look.noticeStuck",
};

export default function Look() {
  const { theme, textures, singleKeys } = settings.value;
  const isTextured = textures ?? matchMedia("(prefers-contrast: more)").matches;
  const ids = { textures: useId(), keys: useId() };
  return (
    <>
      <section class="stack">
        <h2>{t("shell.look.theme")}</h2>
        <fieldset class="themes">
          <legend class="unseen">{t("shell.look.theme")}</legend>
          {THEMES.map(([name, text, icon]) => (
            <label key={name} class="theme">
              <ThemeSample theme={name} />
              <span class="line">
                <input
                  class="tick"
                  type="radio"
                  name="theme"
                  checked={theme === name}
                  onChange={() => set({ theme: name })}
                />
                <span class="grow">{t(text)}</span>
                <Icon name={icon} />
              </span>
            </label>
          ))}
        </fieldset>
      </section>
      <section class="card">
        <Setting
          title={t("shell.look.textures")}
          id={ids.textures}
          control={
            <Switch
              label={t("shell.look.textures")}
              describedBy={ids.textures}
              isOn={isTextured}
              onChange={(isOn) => set({ textures: isOn })}
            />
          }
        >
          {t("shell.look.texturesHint")}
        </Setting>
        <div class="sample">
          <MemberBar label={t("shell.look.sample")} segments={SAMPLE} />
          <div class="legend">
            {SAMPLE.map(({ userId, colourIndex }) => (
              <MemberChip key={userId} userId={userId} colourIndex={colourIndex}>
                {userId}
              </MemberChip>
            ))}
          </div>
        </div>
        <Setting
          title={t("shell.look.language")}
          isWide
          control={
            <Select
              label={t("shell.look.language")}
              isLabelHidden
              value={settings.value.language ?? "auto"}
              options={[
                { value: "auto", label: t("shell.look.asBrowser") },
                ...LANGUAGES.map((name) => ({ value: name, label: LANGUAGE_NAMES[name] })),
              ]}
              onChange={(value) => set({ language: value === "auto" ? undefined : value })}
            />
          }
        />
        <Setting
          title={t("shell.look.singleKeys")}
          id={ids.keys}
          control={
            <Switch
              label={t("shell.look.singleKeys")}
              describedBy={ids.keys}
              isOn={singleKeys}
              onChange={(isOn) => set({ singleKeys: isOn })}
            />
          }
        >
          {t("shell.look.singleKeysHint")}{" "}
          <Button kind="bare" size="small" icon="keyboard" class="in-text" onClick={showKeys}>
            {t("shell.look.showKeys")}
          </Button>
        </Setting>
      </section>
      <Notices />
    </>
  );
}

/** A page in small: the frame, a list and a button. */
function ThemeSample({ theme }: { readonly theme: Theme }) {
  const halves = theme === "system" ? (["light", "dark"] as const) : [theme];
  return (
    <span class="theme-sample" aria-hidden="true">
      {halves.map((half) => (
        <span key={half} class={`sample-${half}`}>
          <i />
          <i />
          <i />
        </span>
      ))}
    </span>
  );
}

function Notices() {
  const { notices } = settings.value;
  const [isRefused, setRefused] = useState("Notification" in window && Notification.permission === "denied");
  const choose = async (kind: Notice, isOn: boolean): Promise<void> => {
    if (isOn && !isAllowed() && !(await askForNotices())) {
      setRefused(true);
      return;
    }
    setRefused(false);
    set({ notices: NOTICES.filter((one) => (one === kind ? isOn : notices.includes(one))) });
  };
  return (
    <section class="stack">
      <div>
        <h2>{t("shell.look.notices")}</h2>
        <p class="sub">{t("shell.look.noticesHint")}</p>
      </div>
      {isRefused && (
        <Banner kind="warn" icon="bell" isAlert>
          {t("shell.look.noticesRefused")}
        </Banner>
      )}
      <div class="card">
        {NOTICES.map((kind) => (
          <Setting
            key={kind}
            title={t(NOTICE_TEXTS[kind])}
            control={
              <Switch
                label={t(NOTICE_TEXTS[kind])}
                isOn={notices.includes(kind) && isAllowed()}
                onChange={(isOn) => void choose(kind, isOn)}
              />
            }
          />
        ))}
      </div>
    </section>
  );
}
