-- The time limits that PgBouncer drops from the server's connections, for the role and the database of the server, which looks at
-- every start whether its connections have them.
ALTER ROLE CURRENT_USER IN DATABASE amba SET statement_timeout = '3s';
ALTER ROLE CURRENT_USER IN DATABASE amba SET lock_timeout = '2s';
ALTER ROLE CURRENT_USER IN DATABASE amba SET idle_in_transaction_session_timeout = '4s';
