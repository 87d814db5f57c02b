-- What the revisions up to r0001 lead to, as SQLite writes it down. Made by contributing/schemas.py;
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
