-- What the revisions up to r0006 lead to, as SQLite writes it down. Made by contributing/schemas.py;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE events (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at FLOAT NOT NULL, 
	kind VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	name_key VARCHAR NOT NULL, 
	sentence VARCHAR NOT NULL
);
CREATE INDEX events_by_name ON events (name_key, kind);
CREATE TABLE scaling_decisions (
	number INTEGER NOT NULL, 
	endpoint_key VARCHAR NOT NULL, 
	decision JSON NOT NULL, 
	PRIMARY KEY (number)
);
CREATE INDEX scaling_decisions_by_endpoint ON scaling_decisions (endpoint_key, number);
CREATE TABLE loads (
	number INTEGER NOT NULL, 
	endpoint_key VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	in_flight FLOAT NOT NULL, 
	queued FLOAT NOT NULL, 
	arrivals INTEGER NOT NULL, 
	replicas INTEGER NOT NULL, 
	PRIMARY KEY (number)
);
CREATE INDEX loads_by_endpoint ON loads (endpoint_key, number);
CREATE TABLE metric_records (
	number INTEGER NOT NULL, 
	endpoint_key VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	figures JSON NOT NULL, 
	in_flight FLOAT NOT NULL, 
	queued FLOAT NOT NULL, 
	replicas FLOAT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE INDEX metric_records_by_endpoint ON metric_records (endpoint_key, at);
CREATE INDEX metric_records_by_age ON metric_records (step, at);
CREATE TABLE metric_totals (
	gateway VARCHAR NOT NULL, 
	endpoint_key VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	figures JSON NOT NULL, 
	PRIMARY KEY (gateway, endpoint_key, version)
);
CREATE TABLE audit (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at FLOAT NOT NULL, 
	principal VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	outcome VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	request_id VARCHAR NOT NULL
);
CREATE TABLE alarm_changes (
	number INTEGER NOT NULL, 
	alarm_key VARCHAR NOT NULL, 
	alarm VARCHAR NOT NULL, 
	endpoint VARCHAR NOT NULL, 
	endpoint_key VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	sentence VARCHAR NOT NULL, 
	value FLOAT, 
	PRIMARY KEY (number)
);
CREATE INDEX alarm_changes_by_alarm ON alarm_changes (alarm_key, number);
CREATE TABLE deliveries (
	number INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	alarm_key VARCHAR NOT NULL, 
	alarm VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	secret VARCHAR, 
	body VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	attempts INTEGER NOT NULL, 
	due_at FLOAT, 
	outcome VARCHAR, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
CREATE INDEX deliveries_by_alarm ON deliveries (alarm_key, number);
CREATE INDEX deliveries_by_time ON deliveries (due_at);
CREATE TABLE run_points (
	number INTEGER NOT NULL, 
	run_key VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	step INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE INDEX run_points_by_run ON run_points (run_key, number);
CREATE TABLE run_tracking (
	sequence INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	run VARCHAR NOT NULL, 
	read_bytes INTEGER NOT NULL, 
	read_all BOOLEAN NOT NULL, 
	kept INTEGER NOT NULL, 
	dropped INTEGER NOT NULL, 
	sent INTEGER NOT NULL, 
	begun BOOLEAN NOT NULL, 
	closed BOOLEAN NOT NULL, 
	PRIMARY KEY (sequence), 
	UNIQUE ("key")
);
CREATE INDEX run_tracking_unread ON run_tracking (read_all);
CREATE INDEX run_tracking_unsent ON run_tracking (closed);
