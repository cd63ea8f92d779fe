// Who sends and receives: each member's device, how it is reached, what it has, and why it sends nothing if it does not.

import type { AnswerOf } from "../../api/call.ts";
import { bytes, percent, rate } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import { isConnected, type TransferRow } from "../../state/transfer-rows.ts";
import { wayOf } from "../../state/ways.ts";
import { Icon, type IconName } from "../../ui/icon.tsx";
import { MemberChip } from "../../ui/member.tsx";
import { markOf } from "./members.ts";
import { SectionTitle } from "./section-title.tsx";
import { usePolled } from "./use-polled.ts";

type Peer = AnswerOf<"peers">[number];

const PERIOD_MS = 2_000;
/** More are counted: a table of hundreds says nothing. */
const MOST = 40;
const WAY_ICONS = {
  "same-machine": "monitor",
  "same-network": "same-network",
  direct: "direct",
} as const satisfies Record<string, IconName>;

export function Peers({ row }: { readonly row: TransferRow }) {
  const { groupId, fileName } = row;
  const { answer, error } = usePolled(
    "peers",
    isConnected(row) ? { groupId, fileName } : undefined,
    PERIOD_MS,
  );
  if (!isConnected(row)) return null;
  const peers = (answer ?? []).toSorted(byTraffic);
  return (
    <section aria-labelledby="details-peers">
      <SectionTitle id="details-peers">
        {t("transfers.peers.title")}
        {peers.length > 0 && <span class="quiet">{peers.length}</span>}
      </SectionTitle>
      {answer === undefined && error === undefined && <p class="details-wait">&nbsp;</p>}
      {answer !== undefined && peers.length === 0 && <p class="sub">{t("transfers.peers.none")}</p>}
      {peers.length > 0 && (
        <table class="peers">
          <thead>
            <tr>
              <th scope="col">{t("transfers.peers.member")}</th>
              <th scope="col">{t("transfers.peers.way")}</th>
              <th scope="col" class="num">
                {t("transfers.peers.has")}
              </th>
              <th scope="col" class="num">
                {t("transfers.peers.gives")}
              </th>
              <th scope="col" class="num">
                {t("transfers.peers.takes")}
              </th>
            </tr>
          </thead>
          <tbody>
            {peers.slice(0, MOST).map((peer, index) => (
              <PeerRow key={`${peer.userId} ${peer.address} ${index}`} groupId={groupId} peer={peer} />
            ))}
          </tbody>
        </table>
      )}
      {peers.length > MOST && <p class="sub">{t("transfers.why.more", { count: peers.length - MOST })}</p>}
    </section>
  );
}

/** Only by who sends or takes most in all, so that rows do not change places each second. */
function byTraffic(a: Peer, b: Peer): number {
  const traffic = ({ downloadedBytes, uploadedBytes }: Peer): number =>
    Math.round(Math.log2(1 + downloadedBytes + uploadedBytes));
  return traffic(b) - traffic(a) || (a.userId < b.userId ? -1 : 1);
}

function PeerRow({ groupId, peer }: { readonly groupId: string; readonly peer: Peer }) {
  const { userId, address, piecesHad, pieceCount, remarks } = peer;
  const { colour, letter } = markOf(groupId, userId);
  const way = wayOf(address);
  const share = pieceCount === 0 ? 1 : piecesHad / pieceCount;
  return (
    <>
      <tr>
        <th scope="row">
          <MemberChip userId={userId} colourIndex={colour - 1} letter={letter}>
            {userId}
          </MemberChip>
        </th>
        <td title={address}>
          {way !== undefined && (
            <span class="line peer-way">
              <Icon name={WAY_ICONS[way]} />
              <span class="cut">{t(`transfers.way.${way}`)}</span>
            </span>
          )}
        </td>
        <td class="num">{share >= 1 ? t("transfers.peers.all") : percent(share)}</td>
        <Rate value={peer.downloadBytesPerSecond} total={peer.downloadedBytes} />
        <Rate value={peer.uploadBytesPerSecond} total={peer.uploadedBytes} />
      </tr>
      {remarks.length > 0 && (
        <tr class="peer-remarks">
          <td colSpan={5}>{remarks.join(", ")}</td>
        </tr>
      )}
    </>
  );
}

function Rate({ value, total }: { readonly value: number; readonly total: number }) {
  return (
    <td class={value > 0 ? "num" : "num quiet"} title={t("transfers.peers.total", { amount: bytes(total) })}>
      {value > 0 ? rate(value) : "0"}
    </td>
  );
}
