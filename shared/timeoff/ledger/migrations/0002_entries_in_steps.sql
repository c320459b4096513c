-- Writes that an HRIS accepts now and shows later, and cancels that make way for another entry.

ALTER TABLE entries ADD COLUMN effective boolean NOT NULL DEFAULT true;

ALTER TABLE intents DROP CONSTRAINT intents_kind_check;
ALTER TABLE intents ADD CONSTRAINT intents_kind_check
    CHECK (kind IN ('insert', 'update', 'cancel', 'cancel_for_change', 'cancel_twin'));
