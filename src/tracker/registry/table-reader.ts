// What can be read of a registry, for everything that reads its table: a registry between commits, a transaction within one.

import type { RecordTable } from "./record-table.ts";
import type { RecordValues } from "./record-values.ts";
import type { Claim, KeyPage, Page, RecordKind, RegistryReader, Stamp } from "./registry.ts";

export abstract class TableReader implements RegistryReader {
  protected readonly table: RecordTable;

  constructor(table: RecordTable) {
    this.table = table;
  }

  /** Every read goes through it, so that a subclass can translate errors of the disk. */
  protected read<T>(read: () => T): T {
    return read();
  }

  get<K extends RecordKind>(kind: K, key: string): RecordValues[K] | undefined {
    return this.read(() => this.table.get(kind, key));
  }

  list<K extends RecordKind>(
    kind: K,
    prefix: string,
    page?: KeyPage,
  ): readonly { key: string; value: RecordValues[K] }[] {
    return this.read(() => this.table.list(kind, prefix, page));
  }

  keys(kind: RecordKind, prefix: string, page: KeyPage): readonly string[] {
    return this.read(() => this.table.keys(kind, prefix, page));
  }

  anchored<K extends RecordKind>(
    kind: K,
    prefix: string,
    page: KeyPage,
  ): readonly { key: string; value: RecordValues[K] }[] {
    return this.read(() => this.table.anchored(kind, prefix, page));
  }

  claim<K extends RecordKind>(kind: K, name: string): Claim<RecordValues[K]> | undefined {
    return this.read(() => this.table.claim(kind, name));
  }

  rival<K extends RecordKind>(kind: K, name: string): Claim<RecordValues[K]> | undefined {
    return this.read(() => this.table.rival(kind, name));
  }

  claimById<K extends RecordKind>(kind: K, claimId: Stamp): Claim<RecordValues[K]> | undefined {
    return this.read(() => this.table.claimById(kind, claimId));
  }

  claims<K extends RecordKind>(kind: K, prefix: string, page?: KeyPage): readonly Claim<RecordValues[K]>[] {
    return this.read(() => this.table.claims(kind, prefix, page));
  }

  derived<V>(place: string): V | undefined {
    return this.read(() => this.table.derived(place));
  }

  listed<V>(list: string, page: Page): readonly { sort: string; place: string; value: V }[] {
    return this.read(() => this.table.listed(list, page));
  }

  total(name: string): number {
    return this.read(() => this.table.total(name));
  }

  hasWrite(writeId: string): boolean {
    return this.read(() => this.table.hasWrite(writeId));
  }
}
