-- What was heard in a sound that somebody sent; NULL: nobody has listened.
ALTER TABLE file ADD COLUMN transcript text;
