-- Frames that were taken but had been there before, and frames that are missing in the numbering of their source.
ALTER TABLE natrail.stream
    ADD COLUMN duplicate_frames int8 NOT NULL DEFAULT 0,
    ADD COLUMN missing_frames   int8 NOT NULL DEFAULT 0;

-- The sources whose frames a stream had last: a frame below `next_sequence` of its source was taken before.
-- Moved in the transaction that moves the stream. Both numbers are unsigned; int8 holds their bits.
CREATE TABLE natrail.stream_source (
    stream        int4        NOT NULL REFERENCES natrail.stream ON DELETE CASCADE,
    source        int8        NOT NULL,
    next_sequence int8        NOT NULL,
    seen_at       timestamptz NOT NULL,
    PRIMARY KEY (stream, source)
);
