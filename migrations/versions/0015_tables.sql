-- `embedder` and `embedder_model`: what turns passages into vectors; NULL: search by words alone. `is_public`: clients may
-- open its documents from an answer's sources.
CREATE TABLE knowledge_base (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 1000),
    embedder uuid,
    embedder_model text NOT NULL DEFAULT '' CHECK (length(embedder_model) <= 200),
    is_public boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, embedder) REFERENCES credential (workspace_id, id) ON DELETE SET NULL (embedder)
);
CREATE INDEX knowledge_base_by_embedder ON knowledge_base (workspace_id, embedder);

CREATE TABLE knowledge_category (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    knowledge_base_id uuid NOT NULL,
    parent_id uuid,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, knowledge_base_id, id),
    FOREIGN KEY (workspace_id, knowledge_base_id) REFERENCES knowledge_base (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, knowledge_base_id, parent_id)
        REFERENCES knowledge_category (workspace_id, knowledge_base_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_category_by_parent ON knowledge_category (workspace_id, knowledge_base_id, parent_id);

-- `draft`: what is being written; `body`: what is published (of a pair: the answer; its question is the title).
-- `content_hash`: of what is to be read; `read_hash`: of what the passages were made of. `claim`: grows with every
-- attempt, so that a reader that was thought dead cannot write. `next_read_at`: when a web page is read again.
CREATE TABLE knowledge_document (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    knowledge_base_id uuid NOT NULL,
    category_id uuid,
    kind text NOT NULL CHECK (kind IN ('article', 'file', 'page', 'pair')),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 500),
    language text NOT NULL DEFAULT '' CHECK (length(language) <= 10),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('draft', 'waiting', 'reading', 'embedding', 'ready', 'failed')),
    error text NOT NULL DEFAULT '' CHECK (length(error) <= 50),
    error_about text NOT NULL DEFAULT '' CHECK (length(error_about) <= 300),
    draft text,
    body text NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 0,
    url text NOT NULL DEFAULT '' CHECK (length(url) <= 2000),
    public_id text NOT NULL UNIQUE,
    file_name text NOT NULL DEFAULT '' CHECK (length(file_name) <= 255),
    mime text NOT NULL DEFAULT '' CHECK (length(mime) <= 127),
    size integer NOT NULL DEFAULT 0,
    content_hash text NOT NULL DEFAULT '',
    read_hash text NOT NULL DEFAULT '',
    progress smallint NOT NULL DEFAULT 0,
    passages integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    claim bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    owner bigint,
    queued_at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz,
    read_every_days integer CHECK (read_every_days BETWEEN 1 AND 365),
    next_read_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, knowledge_base_id, id),
    FOREIGN KEY (workspace_id, knowledge_base_id) REFERENCES knowledge_base (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, knowledge_base_id, category_id)
        REFERENCES knowledge_category (workspace_id, knowledge_base_id, id) ON DELETE SET NULL (category_id)
);
CREATE INDEX knowledge_document_listed ON knowledge_document (workspace_id, knowledge_base_id, id DESC);
CREATE INDEX knowledge_document_by_category ON knowledge_document (workspace_id, knowledge_base_id, category_id);
CREATE UNIQUE INDEX knowledge_document_once ON knowledge_document (knowledge_base_id, content_hash)
    WHERE kind = 'file' AND content_hash <> '';
CREATE UNIQUE INDEX knowledge_page_once ON knowledge_document (knowledge_base_id, url) WHERE kind = 'page';
CREATE INDEX knowledge_document_waiting ON knowledge_document (queued_at) WHERE state IN ('waiting', 'reading', 'embedding');
CREATE INDEX knowledge_document_again ON knowledge_document (next_read_at) WHERE next_read_at IS NOT NULL;

-- The file itself, apart from the row that lists read.
CREATE TABLE knowledge_source (
    document_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    content bytea NOT NULL,
    FOREIGN KEY (workspace_id, document_id) REFERENCES knowledge_document (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_source_by_document ON knowledge_source (workspace_id, document_id);

-- `words`: text, heading and title in every configuration, without positions. `word_count`: for the length of a passage.
-- `text_hash`: the same text keeps its vector when a document is read again.
CREATE TABLE knowledge_passage (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    knowledge_base_id uuid NOT NULL,
    document_id uuid NOT NULL,
    category_id uuid,
    place integer NOT NULL,
    page integer,
    heading text NOT NULL DEFAULT '',
    text text NOT NULL,
    language text NOT NULL DEFAULT '',
    text_hash bytea NOT NULL,
    word_count integer NOT NULL,
    words tsvector NOT NULL,
    embedding vector,
    embedding_dims integer,
    embedding_model text,
    FOREIGN KEY (workspace_id, knowledge_base_id, document_id)
        REFERENCES knowledge_document (workspace_id, knowledge_base_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_passage_by_document ON knowledge_passage (workspace_id, knowledge_base_id, document_id);
CREATE INDEX knowledge_passage_in_order ON knowledge_passage (document_id, place);
CREATE INDEX knowledge_passage_by_base ON knowledge_passage (knowledge_base_id);
CREATE INDEX knowledge_passage_words ON knowledge_passage USING gin (words) WITH (fastupdate = off);
-- One index per usual number of dimensions; an index without rows costs nothing.
CREATE INDEX knowledge_passage_256 ON knowledge_passage USING hnsw ((embedding::vector(256)) vector_cosine_ops) WHERE embedding_dims = 256;
CREATE INDEX knowledge_passage_384 ON knowledge_passage USING hnsw ((embedding::vector(384)) vector_cosine_ops) WHERE embedding_dims = 384;
CREATE INDEX knowledge_passage_512 ON knowledge_passage USING hnsw ((embedding::vector(512)) vector_cosine_ops) WHERE embedding_dims = 512;
CREATE INDEX knowledge_passage_768 ON knowledge_passage USING hnsw ((embedding::vector(768)) vector_cosine_ops) WHERE embedding_dims = 768;
CREATE INDEX knowledge_passage_1024 ON knowledge_passage USING hnsw ((embedding::vector(1024)) vector_cosine_ops) WHERE embedding_dims = 1024;
CREATE INDEX knowledge_passage_1536 ON knowledge_passage USING hnsw ((embedding::vector(1536)) vector_cosine_ops) WHERE embedding_dims = 1536;

-- Every word of a base once, to recognise a word that was mistyped.
CREATE TABLE knowledge_word (
    knowledge_base_id uuid NOT NULL,
    word text NOT NULL,
    workspace_id uuid NOT NULL,
    PRIMARY KEY (knowledge_base_id, word),
    FOREIGN KEY (workspace_id, knowledge_base_id) REFERENCES knowledge_base (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_word_of_workspace ON knowledge_word (workspace_id, knowledge_base_id);

-- Without pg_trgm everything works but the forgiving of typos.
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE INDEX knowledge_word_alike ON knowledge_word USING gin (word gin_trgm_ops) WITH (fastupdate = off);
    END IF;
END $$;
