-- What people asked and knowledge did not answer, whether answers helped, and what articles said before.

-- `dismissed_at`: somebody decided that it needs no answer. `document_id`: what was written about it. The words of a
-- question are those of its newest asking, so they go with the conversation.
CREATE TABLE knowledge_question (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL REFERENCES workspace ON DELETE CASCADE,
    document_id uuid,
    dismissed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, document_id) REFERENCES knowledge_document (workspace_id, id) ON DELETE SET NULL (document_id)
);
CREATE INDEX knowledge_question_of_workspace ON knowledge_question (workspace_id, id DESC);
CREATE INDEX knowledge_question_by_document ON knowledge_question (workspace_id, document_id);

-- `question_id` NULL: not grouped yet. `reason`: nothing was sure enough; the answer named no passage; the contact said
-- that it did not help. `terms`: stems, by which askings are alike.
CREATE TABLE knowledge_asking (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    question_id uuid,
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    turn_id uuid NOT NULL,
    node_id text NOT NULL,
    agent_id uuid NOT NULL,
    reason text NOT NULL CHECK (reason IN ('not_found', 'uncited', 'unhelpful')),
    bases uuid[] NOT NULL,
    text text NOT NULL CHECK (length(text) <= 500),
    language text NOT NULL DEFAULT '',
    terms text[] NOT NULL,
    best real NOT NULL DEFAULT 0,
    asked_at timestamptz NOT NULL,
    UNIQUE (conversation_id, turn_id, node_id),
    FOREIGN KEY (workspace_id, question_id) REFERENCES knowledge_question (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_asking_by_question ON knowledge_asking (workspace_id, question_id, asked_at DESC);
CREATE INDEX knowledge_asking_new ON knowledge_asking (workspace_id, asked_at) WHERE question_id IS NULL;
CREATE INDEX knowledge_asking_age ON knowledge_asking (workspace_id, asked_at);

-- Whether an answer with sources helped, by its contact.
CREATE TABLE knowledge_feedback (
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    seq integer NOT NULL,
    workspace_id uuid NOT NULL,
    turn_id uuid NOT NULL,
    is_helpful boolean NOT NULL,
    documents uuid[] NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, seq)
);
CREATE INDEX knowledge_feedback_age ON knowledge_feedback (workspace_id, at);

-- What an article or a pair said, each time it was published; the newest fifty. `member_id`: who published it.
CREATE TABLE knowledge_version (
    document_id uuid NOT NULL,
    number integer NOT NULL,
    workspace_id uuid NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    member_id uuid,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (document_id, number),
    FOREIGN KEY (workspace_id, document_id) REFERENCES knowledge_document (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX knowledge_version_of_document ON knowledge_version (workspace_id, document_id, number DESC);
INSERT INTO knowledge_version (document_id, number, workspace_id, title, body, at)
    SELECT d.id, d.version, d.workspace_id, d.title, d.body, d.updated_at FROM knowledge_document d
    WHERE d.kind IN ('article', 'pair') AND d.version > 0;
