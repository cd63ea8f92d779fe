// Everything about groups: the list, a group's page, and the dialogs over it to choose what to download and to share. They have addresses
// of their own; what is behind a dialog stays as it was.
import { useEffect, useRef } from "preact/hooks";
import "../../styles/groups.css";
import { status } from "../../api/live.ts";
import { go, route } from "../../routes.ts";
import type { Route } from "../../state/paths.ts";
import { NoGroupDialog, ShareDialog } from "../share/share-dialog.tsx";
import { ChooseDialog } from "./choose-dialog.tsx";
import { GroupList } from "./group-list.tsx";
import { GroupPage } from "./group-page.tsx";

export default function Groups() {
  const now = route.value;
  const behind = useRef<Route>({ view: "groups" });
  const isDialog = now.view === "choose" || now.view === "share";
  useEffect(() => {
    if (!isDialog) behind.current = now;
  });
  const groupIds = status.value?.groupIds ?? [];
  const groupId = "groupId" in now && now.groupId !== undefined ? now.groupId : groupIds[0];
  const under: Route = isDialog ? underOf(behind.current, groupId) : now;
  const close = (): void => {
    // To where one came from; the back button does not open the dialog again.
    if (canGoBack()) history.back();
    else go(under, "replace");
  };
  return (
    <>
      {under.view === "group" ? <GroupPage groupId={under.groupId} tab={under.tab} /> : <GroupList />}
      {now.view === "choose" && (
        <ChooseDialog
          key={`${now.groupId}/${now.fileName}`}
          groupId={now.groupId}
          fileName={now.fileName}
          onClose={close}
        />
      )}
      {now.view === "share" &&
        (groupId === undefined ? (
          <NoGroupDialog onClose={close} />
        ) : (
          <ShareDialog
            key={groupId}
            groupId={groupId}
            otherGroups={behind.current.view === "group" ? [] : groupIds}
            onClose={close}
          />
        ))}
    </>
  );
}

/** A dialog lies over its group's page. */
function underOf(behind: Route, groupId: string | undefined): Route {
  if (behind.view === "group" && behind.groupId === groupId) return behind;
  return groupId === undefined ? { view: "groups" } : { view: "group", groupId, tab: "shares" };
}

/** There is an earlier address of this page. */
function canGoBack(): boolean {
  return (globalThis as { navigation?: { readonly canGoBack: boolean } }).navigation?.canGoBack ?? false;
}
