-- What made the vectors that a base still has beside those of its model; NULL once all passages have the new ones.
ALTER TABLE knowledge_base
    ADD COLUMN former_embedder uuid,
    ADD COLUMN former_model text NOT NULL DEFAULT '' CHECK (length(former_model) <= 200),
    ADD FOREIGN KEY (workspace_id, former_embedder) REFERENCES credential (workspace_id, id) ON DELETE SET NULL (former_embedder);
CREATE INDEX knowledge_base_by_former_embedder ON knowledge_base (workspace_id, former_embedder) WHERE former_embedder IS NOT NULL;
