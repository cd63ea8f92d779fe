// Views are fetched when they are first opened.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "./i18n/t.ts";
import type { ViewName } from "./state/paths.ts";
import { Button } from "./ui/button.tsx";
import { Empty, Skeleton } from "./ui/empty.tsx";

type Loader = () => Promise<{ readonly default: ComponentType }>;

const loaders: Readonly<Record<ViewName | "first-run", Loader>> = {
  transfers: () => import("./views/transfers/transfers.tsx"),
  groups: () => import("./views/groups/groups.tsx"),
  group: () => import("./views/groups/group.tsx"),
  choose: () => import("./views/groups/choose.tsx"),
  share: () => import("./views/share/share.tsx"),
  preview: () => import("./views/preview/preview.tsx"),
  settings: () => import("./views/settings/settings.tsx"),
  enter: () => import("./views/enter/enter.tsx"),
  "first-run": () => import("./views/first-run/first-run.tsx"),
};
const loaded = new Map<string, ComponentType>();

export function View({ name }: { readonly name: keyof typeof loaders }) {
  const [, setVersion] = useState(0);
  const [failed, setFailed] = useState(false);
  const Component = loaded.get(name);
  useEffect(() => {
    if (loaded.has(name)) return;
    let isGone = false;
    setFailed(false);
    loaders[name]().then(
      (module) => {
        loaded.set(name, module.default);
        if (!isGone) setVersion((version) => version + 1);
      },
      () => {
        if (!isGone) setFailed(true);
      },
    );
    return () => {
      isGone = true;
    };
  }, [name]);
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
