-- A line may have its calls moved by us: for that a call knows its channel in the telephone system.
ALTER TABLE phone_call ADD COLUMN pbx_channel text NOT NULL DEFAULT '' CHECK (length(pbx_channel) <= 150);
