// All limits of a tracker that its operator may change, in one table.
import { type AccountLimits, DEFAULT_ACCOUNT_LIMITS } from "./account-limits.ts";
import { type AttemptLimitOptions, DEFAULT_ATTEMPT_LIMITS } from "./attempt-limits.ts";
import { DEFAULT_QUOTA_LIMITS, type QuotaLimits } from "./quotas.ts";

export type TrackerLimits = AccountLimits & QuotaLimits & AttemptLimitOptions;

export const DEFAULT_TRACKER_LIMITS: TrackerLimits = {
  ...DEFAULT_ACCOUNT_LIMITS,
  ...DEFAULT_QUOTA_LIMITS,
  ...DEFAULT_ATTEMPT_LIMITS,
};
