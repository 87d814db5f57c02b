-- What the revisions up to r0013 lead to, as SQLite writes it down. Made by contributing/schemas.py;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE endpoints (
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	project VARCHAR NOT NULL, 
	deleting_at FLOAT, revision INTEGER DEFAULT '1' NOT NULL, access JSON, kind VARCHAR, model VARCHAR, wished INTEGER, wished_state VARCHAR, wished_at FLOAT, 
	PRIMARY KEY ("key")
);
CREATE TABLE endpoint_versions (
	endpoint_key VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	spec JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	state VARCHAR NOT NULL, 
	reason VARCHAR, origin JSON, out_of_memory BOOLEAN, progress JSON, steering JSON, 
	PRIMARY KEY (endpoint_key, number), 
	FOREIGN KEY(endpoint_key) REFERENCES endpoints ("key")
);
CREATE TABLE endpoint_statuses (
	endpoint_key VARCHAR NOT NULL, 
	status JSON NOT NULL, state VARCHAR, sentence VARCHAR, ready INTEGER, requested INTEGER, serving INTEGER, updated_at FLOAT, 
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
CREATE TABLE users (
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	password VARCHAR, 
	must_change_password BOOLEAN NOT NULL, 
	disabled BOOLEAN NOT NULL, 
	created_at FLOAT NOT NULL, 
	last_login_at FLOAT, 
	failures INTEGER NOT NULL, 
	locked_until FLOAT NOT NULL, 
	issuer VARCHAR, 
	subject VARCHAR, 
	PRIMARY KEY ("key")
);
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject);
CREATE TABLE groups (
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE group_members (
	group_key VARCHAR NOT NULL, 
	user_key VARCHAR NOT NULL, 
	PRIMARY KEY (group_key, user_key), 
	FOREIGN KEY(group_key) REFERENCES groups ("key"), 
	FOREIGN KEY(user_key) REFERENCES users ("key")
);
CREATE TABLE grants (
	number INTEGER NOT NULL, 
	subject_kind VARCHAR NOT NULL, 
	subject_key VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	project VARCHAR, 
	resource VARCHAR, 
	PRIMARY KEY (number)
);
CREATE INDEX grants_by_subject ON grants (subject_kind, subject_key);
CREATE TABLE api_keys (
	id VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	owner_key VARCHAR, 
	grants JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT, 
	last_used_at FLOAT, 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
CREATE TABLE sessions (
	digest VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	user_key VARCHAR, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	address VARCHAR NOT NULL, 
	agent VARCHAR NOT NULL, host VARCHAR, parent VARCHAR, 
	PRIMARY KEY (digest), 
	UNIQUE (id)
);
CREATE TABLE counters (
	name VARCHAR NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
CREATE INDEX endpoints_by_revision ON endpoints (revision);
CREATE TABLE endpoint_requests (
	endpoint_key VARCHAR NOT NULL, 
	last_at FLOAT, 
	warned_at FLOAT, 
	PRIMARY KEY (endpoint_key)
);
CREATE TABLE job_tokens (
	digest VARCHAR NOT NULL, 
	run VARCHAR NOT NULL, 
	grants JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	PRIMARY KEY (digest), 
	UNIQUE (run)
);
CREATE TABLE providers (
	"key" VARCHAR NOT NULL, 
	document JSON NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE entry_codes (
	digest VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	session VARCHAR NOT NULL, 
	expires_at FLOAT NOT NULL, 
	PRIMARY KEY (digest)
);
