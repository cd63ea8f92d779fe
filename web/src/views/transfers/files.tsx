// The files of a folder, with how far each is. Pages of them are asked for as one scrolls, and those that are seen again.
import { bytes, percent } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { href } from "../../routes.ts";
import { previewKind } from "../../state/preview-kind.ts";
import { nameParts, type TransferRow } from "../../state/transfer-rows.ts";
import { Icon } from "../../ui/icon.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";
import { type SeenFile, useFilePages } from "./file-pages.ts";
import { SectionTitle } from "./section-title.tsx";
import { fileIcon } from "./words.ts";

const ROW = 34;
const MOST_HEIGHT = 320;

export function Files({ row }: { readonly row: TransferRow }) {
  const { groupId, fileName, state, download } = row;
  const { files, error, seen } = useFilePages({
    groupId,
    fileName,
    isOwn: download === undefined,
    isMoving: state === "moving",
  });
  const { chosenFiles = 0, completeFiles = 0 } = download?.folder ?? {};
  return (
    <section aria-labelledby="details-files">
      <SectionTitle id="details-files">
        {t("transfers.files.title")}
        <span class="quiet">
          {state === "complete" || download === undefined
            ? t("transfers.row.files", { count: row.fileCount ?? 0 })
            : t("transfers.files.complete", { count: completeFiles, whole: chosenFiles })}
        </span>
      </SectionTitle>
      {error !== undefined && <p class="sub">{error}</p>}
      {files.length > 0 && (
        <div class="files" data-scroll style={{ maxHeight: `${MOST_HEIGHT}px` }}>
          <VirtualList
            rows={files}
            rowHeight={ROW}
            keyOf={({ path }) => path}
            label={t("transfers.files.title")}
            render={(file, index) => {
              // After the list is drawn: asking changes it.
              queueMicrotask(() => seen(index));
              return <FileRow groupId={groupId} fileName={fileName} file={file} />;
            }}
          />
        </div>
      )}
    </section>
  );
}

interface FileRowProps {
  readonly groupId: string;
  readonly fileName: string;
  readonly file: SeenFile;
}

function FileRow({ groupId, fileName, file }: FileRowProps) {
  const { path, lengthBytes, verifiedBytes, isChosen } = file;
  const slash = path.lastIndexOf("/") + 1;
  const [begin, ending] = nameParts(path.slice(slash));
  const share = lengthBytes === 0 ? 1 : verifiedBytes / lengthBytes;
  const name = (
    <span class="mid grow" title={path}>
      {slash > 0 && <span class="cut quiet file-folder">{path.slice(0, slash)}</span>}
      <span class="cut">{begin}</span>
      <span>{ending}</span>
    </span>
  );
  const canBeSeen = previewKind(path) !== undefined && (isChosen || share >= 1);
  return (
    <div class={isChosen ? "file" : "file file-left-out"}>
      <Icon name={fileIcon(path)} />
      {canBeSeen ? (
        <a class="file-link" href={href({ view: "preview", groupId, fileName, path })}>
          {name}
        </a>
      ) : (
        name
      )}
      <span class="file-state">
        {!isChosen && share < 1 ? (
          t("transfers.files.leftOut")
        ) : share >= 1 ? (
          <Icon name="check" label={t("transfers.files.done")} />
        ) : (
          <span class="quiet">{percent(share)}</span>
        )}
      </span>
      <span class="num file-size">{bytes(lengthBytes)}</span>
    </div>
  );
}
