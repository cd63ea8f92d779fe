// What a run of rounds adds up to: printed at its end, and while it goes on.
export class Tally {
  rounds = 0;
  acknowledged = 0;
  /** Acknowledged writes that were found again, at every tracker, at the end of each round from then on. */
  promisesChecked = 0;
  refused = 0;
  unknown = 0;
  retries = 0;
  kills = 0;
  cuts = 0;
  oldDisks = 0;
  freezes = 0;
  calmRounds = 0;
  contested = 0;
  /** Names that two were given apart; whose later claimants were told, of those who could be. */
  givenTwice = 0;
  losersTold = 0;
  removalsTold = 0;
  /** From the removal being asked for until the last online member heard of it. */
  slowestRemovalMs = 0;
  /** From the last look at which some tracker had not found another until all digests were equal: an upper bound. */
  slowestAgreementMs = 0;
  /** From everything being put right until then: mostly the time to find each other again. */
  slowestReunionMs = 0;
}
