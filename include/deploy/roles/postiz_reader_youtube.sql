-- Lets the role of the connection postiz_db read the refresh tokens of Postiz's YouTube channels, and no others.
-- Run it as a superuser in Postiz's database, after postiz_reader.sql. Without it, YouTube channels are left out.
--
-- A grant on the column would show the refresh tokens of every network, and some networks void a token that
-- somebody else than Postiz uses. A view would stand in the way of Postiz: Postgres refuses to change a column
-- that a view reads. So this is a function, whose text Postgres does not tie to the table. It stands in a schema
-- of its own, because Postiz's "prisma db push" drops what it does not know from the schema public.
CREATE SCHEMA IF NOT EXISTS social_analytics;
CREATE OR REPLACE FUNCTION social_analytics.youtube_refresh_tokens(ids text[])
RETURNS TABLE (integration_id text, refresh_token text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
-- Its caller must not put another table or operator in the way.
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT "id"::text, "refreshToken"::text FROM public."Integration"
    WHERE "id" = ANY (ids) AND "providerIdentifier" = 'youtube' AND "deletedAt" IS NULL;
END
$$;
REVOKE ALL ON FUNCTION social_analytics.youtube_refresh_tokens(text[]) FROM PUBLIC;
GRANT USAGE ON SCHEMA social_analytics TO social_analytics_reader;
GRANT EXECUTE ON FUNCTION social_analytics.youtube_refresh_tokens(text[]) TO social_analytics_reader;
