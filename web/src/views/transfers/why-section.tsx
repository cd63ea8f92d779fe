// The whole answer to why a transfer stands still: what is missing, who has or had it, what is tried next.
import { duration, fullTime, number, time } from "../../i18n/format.ts";
import { t } from "../../i18n/t.ts";
import type { TransferRow } from "../../state/transfer-rows.ts";
import { Banner } from "../../ui/empty.tsx";
import { MemberChip } from "../../ui/member.tsx";
import { markOf } from "./members.ts";
import { Reason } from "./reason.tsx";
import { SectionTitle } from "./section-title.tsx";
import { useWhy, type Why } from "./whys.ts";
import { sentence } from "./words.ts";

/** Lines of each kind; the rest is counted. */
const MOST_LINES = 8;

export function WhySection({ row }: { readonly row: TransferRow }) {
  const why = useWhy(row, row.download !== undefined);
  const reason = why?.reason ?? row.reason;
  if (reason === undefined) return null;
  const isBad = row.state === "failed" || row.state === "share-unusable";
  return (
    <section aria-labelledby="details-why">
      <SectionTitle id="details-why">{t("transfers.why.title")}</SectionTitle>
      <Banner kind={isBad ? "danger" : "warn"} icon="warn">
        <Reason row={row} text={reason} />
      </Banner>
      {why !== undefined && <Report row={row} why={why} />}
    </section>
  );
}

function Report({ row, why }: { readonly row: TransferRow; readonly why: Why }) {
  const { missing, nobodyHas, holders, next } = why;
  return (
    <div class="why-report">
      {missing.pieces > 0 && (
        <p>
          {t("transfers.why.missing", { count: missing.pieces, whole: why.pieceCount })}
          {why.state === "downloading" &&
            nobodyHas.pieces > 0 &&
            ` ${
              nobodyHas.pieces === missing.pieces
                ? t("transfers.why.nobodyHasAny")
                : t("transfers.why.nobodyHas", { count: nobodyHas.pieces })
            }`}
        </p>
      )}
      {holders.length > 0 && (
        <ul aria-label={t("transfers.why.holders")}>
          {holders.slice(0, MOST_LINES).map((holder, index) => (
            <Holder key={`${holder.userId} ${index}`} row={row} holder={holder} />
          ))}
          {holders.length > MOST_LINES && (
            <li class="quiet">{t("transfers.why.more", { count: holders.length - MOST_LINES })}</li>
          )}
        </ul>
      )}
      {next.length > 0 && (
        <>
          <p class="why-next">{t("transfers.why.next")}</p>
          <ul>
            {next.slice(0, MOST_LINES).map((step) => (
              <li key={step.what}>
                {step.inMs === undefined
                  ? sentence(step.what)
                  : t(step.inMs === 0 ? "transfers.why.now" : "transfers.why.in", {
                      what: step.what.charAt(0).toLocaleUpperCase() + step.what.slice(1),
                      time: duration(Math.ceil(step.inMs / 1_000)),
                    })}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function Holder({ row, holder }: { readonly row: TransferRow; readonly holder: Why["holders"][number] }) {
  const { userId, isConnected, missingPiecesHad, lastSeenMs, remarks } = holder;
  const { colour, letter } = markOf(row.groupId, userId);
  return (
    <li class="line why-holder">
      <MemberChip userId={userId} colourIndex={colour - 1} letter={letter}>
        {userId}
      </MemberChip>
      <span class="grow" title={isConnected ? undefined : fullTime(lastSeenMs)}>
        {isConnected ? t("transfers.why.online") : t("transfers.why.seen", { time: time(lastSeenMs) })}
        {remarks.length > 0 && <span class="quiet"> · {remarks.join(", ")}</span>}
      </span>
      <span class="num">
        {t("transfers.why.has", { count: missingPiecesHad, number: number(missingPiecesHad) })}
      </span>
    </li>
  );
}
