// All limits of a tracker that its operator may change, in one table.
import { type AccountLimits, DEFAULT_ACCOUNT_LIMITS } from "./rules/account-limits.ts";
import { DEFAULT_QUOTA_LIMITS, type QuotaLimits } from "./rules/quotas.ts";
import { type AttemptLimitOptions, DEFAULT_ATTEMPT_LIMITS } from "./server/attempt-limits.ts";

export type TrackerLimits = AccountLimits & QuotaLimits & AttemptLimitOptions;

export const DEFAULT_TRACKER_LIMITS: TrackerLimits = {
  ...DEFAULT_ACCOUNT_LIMITS,
  ...DEFAULT_QUOTA_LIMITS,
  ...DEFAULT_ATTEMPT_LIMITS,
};
