// The files of a share in pages: those of a download with how far each is, those of a share of this machine as complete. The next page
// is asked for as one scrolls, and the one that is seen again while things move.
import { useEffect, useRef, useState } from "preact/hooks";
import { call, sentenceOf } from "../../api/call.ts";
import { previewKind } from "../../state/preview-kind.ts";

export interface SeenFile {
  /** Relative to the folder. */
  readonly path: string;
  readonly lengthBytes: number;
  readonly verifiedBytes: number;
  readonly isChosen: boolean;
  /** Where it lies in the pieces of a download. */
  readonly firstPiece?: number;
  readonly pieceCount?: number;
}

interface Page {
  /** What its call was asked with; undefined: the first one. */
  readonly after: string | undefined;
  readonly items: readonly SeenFile[];
  readonly next: string | undefined;
}

export interface FilesOf {
  readonly groupId: string;
  readonly fileName: string;
  /** A share of this machine that was not downloaded here: all of it is here. */
  readonly isOwn: boolean;
  /** Things move: what is seen is asked for again. */
  readonly isMoving: boolean;
}

export interface FilePages {
  readonly files: readonly SeenFile[];
  /** All pages are here. */
  readonly isWhole: boolean;
  readonly error: string | undefined;
  /** That row is seen: what follows is asked for. */
  readonly seen: (index: number) => void;
}

/** The browser can show it, and it is here or to come. */
export function canBeSeen({ path, isChosen, verifiedBytes, lengthBytes }: SeenFile): boolean {
  return previewKind(path) !== undefined && (isChosen || verifiedBytes >= lengthBytes);
}

/** The next page is asked for when so few rows are left below. */
const AHEAD = 60;
const AGAIN_MS = 4_000;

async function pageOf({ groupId, fileName, isOwn }: FilesOf, after: string | undefined): Promise<Page> {
  const input = { groupId, fileName, ...(after !== undefined && { after }) };
  if (!isOwn) {
    const { items, next } = await call("downloadFiles", input);
    return { after, items, next };
  }
  const { items, next } = await call("listInside", input);
  const here = items.map(({ path, lengthBytes }) => ({
    ...{ path, lengthBytes, verifiedBytes: lengthBytes },
    isChosen: true,
  }));
  return { after, items: here, next };
}

export function useFilePages(of: FilesOf): FilePages {
  const { groupId, fileName, isOwn, isMoving } = of;
  const [pages, setPages] = useState<readonly Page[]>([]);
  const [error, setError] = useState<string>();
  const state = useRef({ pages, isAsking: false, lastSeen: 0, run: 0 });
  state.current.pages = pages;
  const ask = async (after: string | undefined, place: number): Promise<void> => {
    if (state.current.isAsking) return;
    state.current.isAsking = true;
    const { run } = state.current;
    try {
      const page = await pageOf(of, after);
      if (run !== state.current.run) return;
      setPages((before) => (place < before.length ? before.with(place, page) : [...before, page]));
      setError(undefined);
    } catch (failure) {
      if (run === state.current.run) setError(sentenceOf(failure));
    } finally {
      state.current.isAsking = false;
    }
  };
  useEffect(() => {
    state.current.run++;
    state.current.isAsking = false;
    setPages([]);
    void ask(undefined, 0);
  }, [groupId, fileName, isOwn]);
  useEffect(() => {
    if (!isMoving) return;
    const timer = setInterval(() => {
      if (document.hidden) return;
      const { pages: known, lastSeen } = state.current;
      let end = 0;
      const place = known.findIndex(({ items }) => {
        end += items.length;
        return lastSeen < end;
      });
      const page = known[place];
      if (page !== undefined) void ask(page.after, place);
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, [groupId, fileName, isMoving]);
  const files = pages.flatMap(({ items }) => items);
  return {
    files,
    isWhole: pages.length > 0 && pages.at(-1)?.next === undefined,
    error,
    seen: (index) => {
      state.current.lastSeen = index;
      const last = state.current.pages.at(-1);
      if (last?.next !== undefined && index > files.length - AHEAD)
        void ask(last.next, state.current.pages.length);
    },
  };
}
