-- What the revisions up to r0005 lead to, as SQLite writes it down. Made by contributing/schemas.py;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE endpoints (
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	project VARCHAR NOT NULL, 
	deleting_at FLOAT, 
	PRIMARY KEY ("key")
);
CREATE TABLE endpoint_versions (
	endpoint_key VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	spec JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	state VARCHAR NOT NULL, 
	reason VARCHAR, origin JSON, out_of_memory BOOLEAN, 
	PRIMARY KEY (endpoint_key, number), 
	FOREIGN KEY(endpoint_key) REFERENCES endpoints ("key")
);
CREATE TABLE endpoint_statuses (
	endpoint_key VARCHAR NOT NULL, 
	status JSON NOT NULL, 
	PRIMARY KEY (endpoint_key), 
	FOREIGN KEY(endpoint_key) REFERENCES endpoints ("key")
);
CREATE TABLE removed_endpoints (
	"key" VARCHAR NOT NULL, 
	last_number INTEGER NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE models (
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	project VARCHAR NOT NULL, 
	last_version INTEGER NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE model_versions (
	model_key VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	tree VARCHAR NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	framework VARCHAR, 
	created_at FLOAT NOT NULL, 
	run VARCHAR, 
	lineage JSON NOT NULL, tags JSON, approval JSON, 
	PRIMARY KEY (model_key, version), 
	FOREIGN KEY(model_key) REFERENCES models ("key")
);
CREATE UNIQUE INDEX model_versions_by_run ON model_versions (model_key, run);
CREATE TABLE owner_keys (
	digest VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE links (
	digest VARCHAR NOT NULL, 
	expires_at FLOAT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE sessions (
	digest VARCHAR NOT NULL, 
	expires_at FLOAT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE secrets (
	"key" VARCHAR NOT NULL, 
	revision INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	sealed BLOB NOT NULL, 
	created_at FLOAT NOT NULL, 
	updated_at FLOAT NOT NULL, 
	PRIMARY KEY ("key", revision)
);
CREATE TABLE model_aliases (
	model_key VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	moved_at FLOAT NOT NULL, 
	moved_by VARCHAR, 
	PRIMARY KEY (model_key, "key"), 
	FOREIGN KEY(model_key) REFERENCES models ("key")
);
CREATE TABLE resources (
	kind VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	project VARCHAR NOT NULL, 
	PRIMARY KEY (kind, "key")
);
CREATE TABLE resource_versions (
	kind VARCHAR NOT NULL, 
	resource_key VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	spec JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	created_by VARCHAR, 
	PRIMARY KEY (kind, resource_key, number)
);
CREATE TABLE removed_resources (
	kind VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	last_number INTEGER NOT NULL, 
	PRIMARY KEY (kind, "key")
);
CREATE TABLE project_files (
	project VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	PRIMARY KEY (project, kind, "key")
);
