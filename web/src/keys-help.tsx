// The list of keys, on `?`, and the keys that work everywhere.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { status } from "./api/live.ts";
import { type TextKey, t } from "./i18n/t.ts";
import { registerKeys } from "./keys.ts";
import { go } from "./routes.ts";
import { Dialog } from "./ui/dialog.tsx";

const isShown = signal(false);

export function showKeys(): void {
  isShown.value = true;
}

/** Keys side by side are alternatives; a space parts those that follow each other. */
const LIST: readonly (readonly [
  heading: TextKey,
  keys: readonly (readonly [readonly string[], TextKey])[],
])[] = [
  [
    "shell.keys.everywhere",
    [
      [["G T"], "shell.keys.transfers"],
      [["G G"], "shell.keys.groups"],
      [["G 1", "G 9"], "shell.keys.group"],
      [["G S"], "shell.keys.settings"],
      [["N"], "shell.keys.share"],
      [["?"], "shell.keys.help"],
      [["Esc"], "shell.keys.escape"],
    ],
  ],
  [
    "shell.keys.lists",
    [
      [["/"], "shell.keys.filter"],
      [["J", "K", "↓", "↑"], "shell.keys.rows"],
      [["X", "␣"], "shell.keys.tick"],
      [["⇧ ↓", "⇧ ↑"], "shell.keys.range"],
      [["↵"], "shell.keys.details"],
      [["P"], "shell.keys.pause"],
      [["W"], "shell.keys.why"],
    ],
  ],
  [
    "shell.keys.tree",
    [
      [["→", "←"], "shell.keys.fold"],
      [["␣"], "shell.keys.choose"],
    ],
  ],
  [
    "shell.keys.player",
    [
      [["␣"], "shell.keys.play"],
      [["M"], "shell.keys.mute"],
      [["F"], "shell.keys.full"],
      [["←", "→"], "shell.keys.seek"],
    ],
  ],
];

const NAMES: Readonly<Record<string, TextKey>> = {
  "␣": "shell.keys.space",
  "↵": "shell.keys.enter",
  "⇧": "shell.keys.shift",
};

export function KeysHelp() {
  useEffect(() => {
    const toGroup = (index: number) => (): false | undefined => {
      const groupId = status.peek()?.groupIds[index];
      if (groupId === undefined) return false;
      go({ view: "group", groupId, tab: "shares" });
      return undefined;
    };
    const groups = Array.from({ length: 9 }, (_, index) => [`g ${index + 1}`, toGroup(index)] as const);
    return registerKeys("page", {
      "?": showKeys,
      "g t": () => go({ view: "transfers" }),
      "g g": () => go({ view: "groups" }),
      "g s": () => go({ view: "settings" }),
      n: () => go({ view: "share" }),
      ...Object.fromEntries(groups),
    });
  }, []);
  if (!isShown.value) return null;
  const close = (): void => {
    isShown.value = false;
  };
  return (
    <Dialog title={t("shell.keys.title")} subtitle={t("shell.keys.subtitle")} width="wide" onClose={close}>
      <div class="keys">
        {LIST.map(([heading, keys]) => (
          <section key={heading}>
            <h3>{t(heading)}</h3>
            <dl>
              {keys.map(([alternatives, meaning]) => (
                <div key={meaning}>
                  <dt>
                    {alternatives.map((one) => (
                      <span key={one}>
                        {one.split(" ").map((key) => (
                          <kbd key={key}>{NAMES[key] === undefined ? key : t(NAMES[key])}</kbd>
                        ))}
                      </span>
                    ))}
                  </dt>
                  <dd>{t(meaning)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
