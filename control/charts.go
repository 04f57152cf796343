package control

import (
	"context"
	"time"
)

// Charts is what happened at this node over the last day, by hours, and over the last month, by days. The last interval of each is the one
// that runs. Hours and days are those of the node's time zone.
type Charts struct {
	Time  int64      `json:"time"`
	Day   []Interval `json:"day"`   // 24
	Month []Interval `json:"month"` // 30
}

// Charts returns what happened lately.
func (c *Control) Charts(ctx context.Context) (Charts, error) {
	now := c.deps.Clock()
	out := Charts{Time: now.UnixMilli()}
	hour := now.Truncate(time.Hour) // zones that are half an hour off begin their hours half an hour off
	var hours, days []int64
	for i := range 25 {
		hours = append(hours, hour.Add(time.Duration(i-23)*time.Hour).UnixMilli())
	}
	for i := range 31 {
		days = append(days, time.Date(now.Year(), now.Month(), now.Day()+i-29, 0, 0, 0, 0, now.Location()).UnixMilli())
	}
	st := c.eng.Store()
	var err error
	if out.Day, err = st.Intervals(ctx, hours); err != nil {
		return Charts{}, err
	}
	out.Month, err = st.Intervals(ctx, days)
	return out, err
}
