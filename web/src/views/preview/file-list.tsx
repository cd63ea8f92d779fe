// The files of the folder beside the one that is shown.
import { percent } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { nameParts, type TransferRow } from "../../state/transfer-rows.ts";
import { Icon } from "../../ui/icon.tsx";
import { VirtualList } from "../../ui/virtual-list.tsx";
import { canBeSeen, type FilePages, type SeenFile } from "../transfers/file-pages.ts";
import { fileIcon } from "../transfers/words.ts";

export interface FileListProps {
  readonly row: TransferRow;
  readonly pages: FilePages;
  readonly shown: string | undefined;
  readonly onShow: (file: SeenFile) => void;
}

const ROW = 36;

export function FileList({ row, pages, shown, onShow }: FileListProps) {
  const { files, seen } = pages;
  if (files.length === 0) return null;
  return (
    <aside class="card preview-files" aria-label={t("transfers.files.title")}>
      <div class="card-head">
        <h2 class="cut">{row.fileName}</h2>
        <span class="sub">{t("transfers.row.files", { count: row.fileCount ?? files.length })}</span>
      </div>
      <div class="preview-scroll" data-scroll>
        <VirtualList
          rows={files}
          rowHeight={ROW}
          keyOf={({ path }) => path}
          label={t("transfers.files.title")}
          onRowKey={(event, file) => {
            if (event.key !== "Enter" && event.key !== " ") return false;
            if (canBeSeen(file)) onShow(file);
            return true;
          }}
          rowProps={(file) => ({ "aria-current": file.path === shown ? "true" : undefined })}
          render={(file, index) => {
            queueMicrotask(() => seen(index));
            return <Line file={file} isShown={file.path === shown} onShow={onShow} />;
          }}
        />
      </div>
    </aside>
  );
}

interface LineProps {
  readonly file: SeenFile;
  readonly isShown: boolean;
  readonly onShow: (file: SeenFile) => void;
}

function Line({ file, isShown, onShow }: LineProps) {
  const { path, verifiedBytes, lengthBytes } = file;
  const [begin, ending] = nameParts(path.slice(path.lastIndexOf("/") + 1));
  const share = lengthBytes === 0 ? 1 : verifiedBytes / lengthBytes;
  const isAble = canBeSeen(file);
  return (
    <button
      type="button"
      class={isShown ? "preview-file preview-file-shown" : "preview-file"}
      tabIndex={-1}
      disabled={!isAble}
      title={path}
      onClick={() => onShow(file)}
    >
      <Icon name={fileIcon(path)} />
      <span class="mid grow">
        <span class="cut">{begin}</span>
        <span>{ending}</span>
      </span>
      {!isAble ? (
        <span class="sub quiet">{t("transfers.preview.none")}</span>
      ) : share >= 1 ? (
        <span class="text-ok">
          <Icon name="check" label={t("transfers.files.done")} />
        </span>
      ) : (
        <span class="sub">{percent(share)}</span>
      )}
    </button>
  );
}
