// Views are fetched when they are first opened.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "./i18n/t.ts";
import type { ViewName } from "./state/paths.ts";
import { Button } from "./ui/button.tsx";
import { Empty, Skeleton } from "./ui/empty.tsx";

type Loader = () => Promise<{ readonly default: ComponentType }>;

/** The list, a group's page, and the dialogs over it: one view, which stays while its address changes. */
const groups: Loader = () => import("./views/groups/groups.tsx");
const loaders: Readonly<Record<ViewName | "first-run", Loader>> = {
  transfers: () => import("./views/transfers/transfers.tsx"),
  groups,
  group: groups,
  choose: groups,
  share: groups,
  preview: () => import("./views/preview/preview.tsx"),
  settings: () => import("./views/settings/settings.tsx"),
  enter: () => import("./views/enter/enter.tsx"),
  "first-run": () => import("./views/first-run/first-run.tsx"),
};
const loaded = new Map<Loader, ComponentType>();

export function View({ name }: { readonly name: keyof typeof loaders }) {
  const [, setVersion] = useState(0);
  const [failed, setFailed] = useState(false);
  const loader = loaders[name];
  const Component = loaded.get(loader);
  useEffect(() => {
    if (loaded.has(loader)) return;
    let isGone = false;
    setFailed(false);
    loader().then(
      (module) => {
        loaded.set(loader, module.default);
        if (!isGone) setVersion((version) => version + 1);
      },
      () => {
        if (!isGone) setFailed(true);
      },
    );
    return () => {
      isGone = true;
    };
  }, [loader]);
  if (Component !== undefined) return <Component />;
  if (!failed) return <Skeleton />;
  return (
    <Empty
      icon="unplug"
      title={t("shell.errors.view")}
      actions={<Button onClick={() => location.reload()}>{t("shell.errors.reload")}</Button>}
    />
  );
}
