-- What the revisions up to r0005 lead to, as SQLite writes it down. Made by contributing/schemas.py;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE runs (
	sequence INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	training_key VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	project VARCHAR NOT NULL, 
	spec JSON NOT NULL, 
	status VARCHAR NOT NULL, 
	step VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	ended_at FLOAT, 
	steps JSON NOT NULL, 
	exit_code INTEGER, 
	failure_reason VARCHAR, 
	stop_requested BOOLEAN NOT NULL, 
	metrics JSON NOT NULL, 
	model_version INTEGER, attempt INTEGER, waiting VARCHAR, 
	PRIMARY KEY (sequence), 
	UNIQUE ("key")
);
CREATE UNIQUE INDEX runs_by_training ON runs (training_key, number);
CREATE INDEX runs_by_status ON runs (status);
CREATE TABLE tunings (
	sequence INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	name_key VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	project VARCHAR NOT NULL, 
	spec JSON NOT NULL, 
	status VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	ended_at FLOAT, 
	stop_requested BOOLEAN NOT NULL, 
	reason VARCHAR, 
	best_run VARCHAR, 
	model_version INTEGER, 
	PRIMARY KEY (sequence), 
	UNIQUE ("key")
);
CREATE UNIQUE INDEX tunings_by_name ON tunings (name_key, number);
CREATE INDEX tunings_by_status ON tunings (status);
CREATE TABLE transforms (
	sequence INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	name_key VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	project VARCHAR NOT NULL, 
	batch_key VARCHAR, 
	spec JSON NOT NULL, 
	status VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	ended_at FLOAT, 
	attempt INTEGER NOT NULL, 
	failure_reason VARCHAR, 
	stop_requested BOOLEAN NOT NULL, 
	result JSON NOT NULL, waiting VARCHAR, 
	PRIMARY KEY (sequence), 
	UNIQUE ("key")
);
CREATE UNIQUE INDEX transforms_by_name ON transforms (name_key, number);
CREATE INDEX transforms_by_status ON transforms (status);
CREATE TABLE invocations (
	sequence INTEGER NOT NULL, 
	endpoint_key VARCHAR NOT NULL, 
	endpoint VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	request JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	status VARCHAR NOT NULL, 
	due_at FLOAT NOT NULL, 
	attempt INTEGER NOT NULL, 
	losses INTEGER NOT NULL, 
	started_at FLOAT, 
	ended_at FLOAT, 
	cancel_requested BOOLEAN NOT NULL, 
	result JSON, 
	reason VARCHAR, 
	delivery JSON, 
	delivery_due_at FLOAT, 
	PRIMARY KEY (sequence)
);
CREATE UNIQUE INDEX invocations_by_id ON invocations (endpoint_key, id);
CREATE INDEX invocations_by_status ON invocations (status, endpoint_key, sequence);
CREATE INDEX invocations_by_delivery ON invocations (delivery_due_at);
CREATE INDEX invocations_by_end ON invocations (ended_at);
CREATE TABLE invocation_contents (
	sequence INTEGER NOT NULL, 
	part VARCHAR NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (sequence, part), 
	FOREIGN KEY(sequence) REFERENCES invocations (sequence)
);
CREATE TABLE schedules (
	kind VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	looked_at FLOAT NOT NULL, 
	timing JSON NOT NULL, 
	planned_at FLOAT, 
	started_at FLOAT, 
	started VARCHAR, 
	sentence VARCHAR, 
	PRIMARY KEY (kind, "key")
);
