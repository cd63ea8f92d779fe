// Whose limits are being set: a dialog that any part of the view opens.
import { type Signal, signal } from "@preact/signals";
import type { TransferRow } from "../../state/transfer-rows.ts";

export const limiting: Signal<readonly TransferRow[] | undefined> = signal(undefined);
