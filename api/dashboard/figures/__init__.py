"""What the charts show: plain functions from data to a figure, which know no database and no request."""
