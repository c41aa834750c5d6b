-- What happened to a job as a whole, without the lines of its frames: a line that names many of them is looked for there.

CREATE INDEX journal_whole ON journal (job) WHERE job IS NOT NULL AND item IS NULL AND instance IS NULL;
