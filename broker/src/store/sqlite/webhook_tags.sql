-- Webhooks that want events of jobs with one tag only.

ALTER TABLE webhooks ADD COLUMN tag TEXT;
